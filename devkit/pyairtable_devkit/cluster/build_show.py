"""What people see of a build: a bar that moves on a terminal, two plain lines per program when piped."""

from rich.console import Console
from rich.status import Status

from pyairtable_devkit.cluster.building import Progress


class BuildShow:
    """Reports builds to a console; a context, so that the spinner ends whatever happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    def __call__(self, progress: Progress) -> None:
        """Show one report."""
        name = f"{progress.program.name} {progress.version}"
        if progress.done:
            self.close()
            self._line(f"[green]✓[/green] built {name} in {progress.seconds:.0f} s")
        elif self._status is None:
            self._line(f"Building {name} from its Go modules (once; all programs take about ten minutes on two cores)")
            self._status = self._console.status(name)
            self._status.start()
        else:
            self._status.update(f"{name}: {progress.packages} packages compiled, {progress.seconds:.0f} s")

    def close(self) -> None:
        """End the spinner."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def __enter__(self) -> "BuildShow":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)
