"""Which tests share a process: those of a file, and all notebooks, since they read each other's results."""

from xdist.scheduler import LoadScopeScheduling


class Together(LoadScopeScheduling):
    """Gives each process of pytest-xdist a whole file of tests at a time, or all notebooks."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "notebooks" if file.endswith(".ipynb") else file


def pytest_xdist_make_scheduler(config, log):
    return Together(config, log)
