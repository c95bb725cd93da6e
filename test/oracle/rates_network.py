"""Makes test/fixtures/rates/network.json: the rate generation network written out in PyTorch, on numbers of fill.py.

    pip install torch numpy
    python test/oracle/rates_network.py

Reports are read one by one, sentence by sentence and without padding: nothing here knows batches, groups or masks. Versions
used: torch 2.13, NumPy 2.4. Computed in float64.
"""

import json
from pathlib import Path

import torch
from torch import nn

from fill import summary, weights

OUT = Path(__file__).parent.parent / "fixtures" / "rates"
VOCABULARY, FINDINGS, WIDTH, HEADS, DEPTH, LONGEST = 30, 3, 8, 2, 2, 96

# Section tokens are 3 to 9. A sentence twice in one report, in two reports, of several lengths; and a report of nothing.
REPORTS = [
    [[4, 12, 13, 14], [5, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 11], [4, 12, 13, 14]],
    [[4, 12, 13, 14], [3, 15]],
    [],
    [[5, *[10 + i % 20 for i in range(40)]]],
]


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.tokens = nn.Embedding(VOCABULARY, WIDTH, padding_idx=0)
        self.encoder.positions = nn.Embedding(LONGEST, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 3 * WIDTH, dropout=0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder.transformer = nn.TransformerEncoder(
            layer, DEPTH, norm=nn.LayerNorm(WIDTH), enable_nested_tensor=False
        )
        self.keys = nn.Linear(WIDTH, WIDTH)
        self.values = nn.Linear(WIDTH, WIDTH)
        self.queries = nn.Parameter(torch.empty(FINDINGS + 1, WIDTH))
        self.nothing = nn.Parameter(torch.empty(2, WIDTH))
        self.own = nn.Parameter(torch.empty(FINDINGS, WIDTH))
        self.report = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.hidden = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, sentences):
        """One report: [3, K] numbers and [K, R] attention."""
        states = []
        for ids in sentences:
            ids = torch.tensor(ids)
            embedded = self.encoder.tokens(ids) + self.encoder.positions.weight[: len(ids)]
            states.append(self.encoder.transformer(embedded[None])[0])
        states = torch.cat(states) if states else torch.zeros(0, WIDTH, dtype=torch.float64)
        keys = torch.cat([self.nothing[:1], self.keys(states)])
        values = torch.cat([self.nothing[1:], self.values(states)])
        read, attention = [], []
        for h in range(HEADS):
            part = slice(h * WIDTH // HEADS, (h + 1) * WIDTH // HEADS)
            scores = self.queries[:, part] @ keys[:, part].T / (WIDTH // HEADS) ** 0.5
            share = scores.softmax(-1)
            read.append(share @ values[:, part])
            attention.append(share[:FINDINGS, 1:])
        said = self.out(torch.cat(read, -1))
        state = said[:FINDINGS] + self.report(said[FINDINGS:]) + self.own
        return self.head(nn.functional.gelu(self.hidden(state))).T, torch.stack(attention).mean(0)


network = Network().double()
state = {k: torch.from_numpy(weights(k, tuple(v.shape))) for k, v in network.state_dict().items()}
state["encoder.tokens.weight"][0] = 0
network.load_state_dict(state)
numbers = []
for report in REPORTS:
    found, attention = network(report)
    numbers.append({"numbers": found.tolist(), "attention": attention.tolist()})
sum_of = sum((network(report)[0] * torch.tensor([[1.0], [2.0], [-1.0]])).sum() for report in REPORTS)
sum_of.backward()
gradients = {k: summary(k, p.grad.numpy()) for k, p in network.named_parameters()}
OUT.mkdir(exist_ok=True)
(OUT / "network.json").write_text(json.dumps({"reports": numbers, "gradients": gradients}) + "\n")
