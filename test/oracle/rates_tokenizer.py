"""What Hugging Face's tokenizers make of a tokenizer.json of ours, for src/rates/tokenizer.test.ts.

Run: python test/oracle/rates_tokenizer.py   (needs tokenizers; the test writes tokenizer.json with `-u`)
"""

import json
import pathlib

from tokenizers import Tokenizer

folder = pathlib.Path(__file__).parent.parent / "fixtures" / "rates"
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

texts = [
    "No focal consolidation, pleural effusion, or pneumothorax.",
    "There is PROBABLE left-sided effusion; 3.5 cm.",
    "Reconsolidating pneumothoraces, hydropneumothorax",
    "Herzgröße normal. Kein Erguß; ÄÖÜ naïve",
    "İstanbul ﬁbrosis Ⅻ ½ ___ XXXX \u200b\u00a0pleural\u00adeffusion",
    "\U0001d400\U0001f4a9 x\u0301y emoji 🫁🫁 end",
    "can't won\u2019t -- 12/03/2020 (T7-T8)",
    "",
    "a" * 60,
]
cases = []
for text in texts:
    encoding = tokenizer.encode(text, add_special_tokens=False)
    cases.append({"text": text, "ids": encoding.ids, "tokens": encoding.tokens})
out = folder / "tokenizer-oracle.json"
out.write_text(json.dumps(cases, indent=1, ensure_ascii=True) + "\n")
