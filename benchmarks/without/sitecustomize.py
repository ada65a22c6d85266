"""Switches a device off in whatever Python process has this folder on its PYTHONPATH.

Python imports a module of this name by itself at its start. `WITHOUT` names a module and holds the
Python that is run in it as soon as it is loaded, before any other module sees it
(benchmarks/devices.py). So the product knows nothing of this, whichever command starts it.
"""

import json
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

SAID = "A device is switched off."


class Patching(MetaPathFinder):
    def __init__(self, where, how):
        self.where, self.how = where, how

    def find_spec(self, name, path=None, target=None):
        if name != self.where:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            load = spec.loader.exec_module

            def load_and_patch(module):
                load(module)
                exec(self.how, vars(module))  # noqa: S102  what the table of devices says
                print(SAID, file=sys.stderr, flush=True)

            spec.loader.exec_module = load_and_patch
        return spec


if "WITHOUT" in os.environ:
    sys.meta_path.insert(0, Patching(*json.loads(os.environ["WITHOUT"])))
