"""Which tests share a process: those of a file, and all notebooks, since they read each other's results."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    for item in items:
        group = "notebooks" if item.path.suffix == ".ipynb" else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
