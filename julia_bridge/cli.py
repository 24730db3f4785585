"""`sharnn julia`: get Julia, and see whether it works. Exit status 0 if it does, 3 if not."""

from __future__ import annotations

import click

from julia_bridge.doctor import doctor
from julia_bridge.install import ensure
from sharnn_py.errors import SharnnError

ENVIRONMENT = 3
"""The exit status that says: the machine lacks something."""


@click.group()
def julia() -> None:
    """Julia, for comparisons with the model as it runs there."""


@julia.command("install")
def install_command() -> None:
    """Get Julia and juliacall into a folder of their own, without root. Does nothing if they are there."""
    try:
        lane = ensure(lambda step: click.echo(step, err=True))
    except SharnnError as problem:
        click.echo(f"error: {problem}", err=True)
        raise SystemExit(ENVIRONMENT) from None
    click.echo(f"Julia is installed: lane {lane.name}, {lane.place}")


@julia.command("doctor")
def doctor_command() -> None:
    """Say which Julia is used, in which versions, and what is wrong with it."""
    report = doctor()
    click.echo(report)
    if not report:
        raise SystemExit(ENVIRONMENT)
