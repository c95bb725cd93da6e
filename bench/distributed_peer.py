"""One rank of PyTorch's DistributedDataParallel over gradients of given shapes: what `bench/distributed.ts` compares with.

usage: distributed_peer.py STEPS < shapes.json, with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set.
Prints one JSON line: milliseconds of each step, and processor seconds of all of them.
"""

import json
import resource
import sys
import time

import torch
import torch.distributed as dist


class Sum(torch.nn.Module):
    def __init__(self, shapes):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weights = torch.nn.ParameterList(torch.randn(shape, generator=generator) for shape in shapes)

    def forward(self):
        return sum(weight.square().sum() for weight in self.weights)


steps, shapes = int(sys.argv[1]), json.load(sys.stdin)
torch.set_num_threads(1)
dist.init_process_group("gloo")
net = Sum(shapes)
if dist.get_world_size() > 1:
    net = torch.nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True, broadcast_buffers=False)


def step():
    start = time.perf_counter()
    net.zero_grad(set_to_none=True)
    net().backward()
    return 1000 * (time.perf_counter() - start)


for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF)
milliseconds = [step() for _ in range(steps)]
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"milliseconds": milliseconds, "cpu": cpu}))
dist.barrier()
dist.destroy_process_group()
