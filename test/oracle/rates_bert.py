"""Makes test/fixtures/rates/bert: a tiny random BERT as Hugging Face's transformers saves it, and what it says.

    pip install torch numpy transformers tokenizers
    python test/oracle/rates_bert.py

Weights are drawn here; nothing is downloaded. Outputs are computed in float64, each sentence by itself without padding. Versions
used: torch 2.13, transformers 5.24, tokenizers 0.23.
"""

import json
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from fill import summary, uniform

OUT = Path(__file__).parent.parent / "fixtures" / "rates" / "bert"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)

letters = "abcdefghijklmnopqrstuvwxyz"
pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
pieces += list(letters) + [f"##{c}" for c in letters] + list("0123456789") + [f"##{c}" for c in "0123456789"]
pieces += list(".,;:-/()'\"+$%?") + list("胸腔積液") + ["ß", "##ß", "ø", "##ø"]
pieces += """no there is the of and or to be in for with left right small pleural effusion pneumo ##thorax consolidation opacity heart
 ##ly un ##like likely possible probable cannot excluded evidence edema ##s ##ed ##ing nodule lung base seen fracture rib normal
 enlarged may represent sugg ##est ##ive prob ##ab ##le""".split()
CASED = ["No", "There", "The", "Small", "A", "B", "##A", "É", "é", "##é", "XX", "##XX"]


def tokenizer(vocabulary, lowercase, strip=None):
    made = Tokenizer(WordPiece({p: i for i, p in enumerate(vocabulary)}, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary.index("[CLS]")), ("[SEP]", vocabulary.index("[SEP]"))]
    )
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return made


uncased, cased = tokenizer(pieces, True), tokenizer(pieces + CASED, False)
uncased.save(str(OUT / "tokenizer.json"))
cased.save(str(OUT / "cased.json"))
(OUT / "vocab.txt").write_text("\n".join(pieces) + "\n")

TEXTS = [
    "No pneumothorax. There is a small LEFT pleural effusion, unlikely to be suggestive of edema.",
    "Éffusion pléurale; e\u0301dema, n\u0303o, Å\u030angstrom, ﬁbrosis, Ⅻ, ½, İstanbul, ΑΣ, straße, øre",
    "胸腔積液 and 胸effusion積, \uf900, \U00020000x, 한글, かな カナ",
    "pleu\u00adral ef\u200bfu\u200dsion\ufeff no\u0000w \ufffd\u0007 tab\tnew\nline\r\nnbsp\u00a0thin\u2009ideo\u3000end\u2028x\u0085y",
    "a" * 100 + " " + "a" * 101 + " " + "heart" * 30,
    "3.5cm (T7-T8) +$%^`|~<=> can't won’t — “quoted” «x» ¿no? … ·",
    "xyz€ 🫁🫁 x🫁y ∑ © ® ° µ ª",
    "\u037e \u1fef \u2000 \u212b \u0958 \u1e9e ǅ ß",
    "",
    "   ",
    "[ SEP ] # # ing ##ing",
    "No evidence; NO EVIDENCE; There is XX; AA BA É éa",
]
cases = {name: [made.encode(t, add_special_tokens=False).ids for t in TEXTS] for name, made in (("uncased", uncased), ("cased", cased))}

config = BertConfig(
    vocab_size=len(pieces) + 3,  # Published tables have rows to spare.
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=48,
    max_position_embeddings=100,
    attn_implementation="eager",
)
torch.manual_seed(7)
network = BertModel(config).eval()
with torch.no_grad():  # Fresh norms are 1 and 0, and fresh biases 0: nothing would tell one from another.
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1:
            parameter.add_(torch.from_numpy(uniform(name, tuple(parameter.shape), -0.2, 0.2)))
        else:
            parameter.mul_(5)
network.save_pretrained(OUT)

sentences = [uncased.encode(TEXTS[i]).ids for i in (0, 5, 8)] + [uncased.encode("No effusion").ids]
double = network.double()
outputs, total = [], 0
for i, ids in enumerate(sentences):
    hidden = double(torch.tensor([ids])).last_hidden_state[0]
    outputs.append(hidden.tolist())
    total = total + (hidden * torch.from_numpy(uniform(f"direction {i}", tuple(hidden.shape))).double()).sum()
total.backward()
gradients = {k: summary(k, p.grad.numpy()) for k, p in double.named_parameters() if p.grad is not None}
(OUT / "oracle.json").write_text(
    json.dumps({"texts": TEXTS, **cases, "sentences": sentences, "outputs": outputs, "gradients": gradients}) + "\n"
)
