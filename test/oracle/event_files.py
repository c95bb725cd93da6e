"""Oracle of the TensorBoard event files.

    python event_files.py write OUT      an event file from TensorBoard's own protobuf and record writer
    python event_files.py read FOLDER    what TensorBoard reads from a run folder, as JSON

`write` made test/fixtures/study/tensorboard-events.bin, which src/training/tensorboard.test.ts reproduces byte by byte.
`read` is for looking at files that Penumbra wrote. Needs: tensorboard (made with 2.21).
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def write(path):
    """The same events as in the test: header, restart at step 300, one scalar, two scalars at a step above 2^31."""
    scalar = Summary.Value
    events = [
        Event(wall_time=1700000000.25, file_version="brain.Event:2"),
        Event(wall_time=1700000000.25, step=300, session_log=SessionLog(status=SessionLog.START)),
        Event(wall_time=1700000001.5, step=0, summary=Summary(value=[scalar(tag="train/loss", simple_value=1.25)])),
        Event(
            wall_time=1700000002.5,
            step=5000000000,
            summary=Summary(value=[scalar(tag="val/ece", simple_value=0.1), scalar(tag="größe", simple_value=-3e-9)]),
        ),
    ]
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()


def read(folder):
    accumulator = EventAccumulator(folder, size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    curves = {tag: [[e.step, e.value, e.wall_time] for e in accumulator.Scalars(tag)] for tag in tags}
    json.dump({"version": accumulator.file_version, "scalars": curves}, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("write", "read"):
        sys.exit(__doc__)
    {"write": write, "read": read}[sys.argv[1]](sys.argv[2])
