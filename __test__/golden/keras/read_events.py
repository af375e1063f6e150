"""Run by hand: prints what TensorBoard itself reads for its scalars tab. python read_events.py LOGDIR"""

import json
import sys

from tensorboard.backend.event_processing import data_provider, event_accumulator, plugin_event_multiplexer
from tensorboard.context import RequestContext
from tensorboard.util import tensor_util


def shown(folder):
    """The curves that the tab asks the data provider for, by run and tag."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(folder)
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, folder)
    of = {"ctx": RequestContext(), "experiment_id": "", "plugin_name": "scalars"}
    found = provider.read_scalars(**of, downsample=10**6)
    return {run: {tag: [(point.step, point.value) for point in points] for tag, points in tags.items()} for run, tags in found.items()}


def stored(folder):
    """All that stands in the files of a run, read without the provider."""
    accumulator = event_accumulator.EventAccumulator(folder, size_guidance={event_accumulator.TENSORS: 0})
    accumulator.Reload()
    tags = accumulator.Tags()["tensors"]
    return {tag: [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in accumulator.Tensors(tag)] for tag in tags}


if __name__ == "__main__":
    curves = shown(sys.argv[1])
    if not curves:
        sys.exit(f"{sys.argv[1]}: there are no curves")
    for run, tags in curves.items():
        if tags != stored(f"{sys.argv[1]}/{run}"):
            sys.exit(f"{run}: the tab shows other values than the files hold")
    print(json.dumps(curves, indent=1))
