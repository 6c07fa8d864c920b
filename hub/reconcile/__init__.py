"""Reconcile: the hub held against a system's full listing, key by key and yen by yen. See docs/reconcile.md."""

from hub.reconcile.fix import FixReport, Plan, apply_fix, plan_fix
from hub.reconcile.parts import NothingToCompare
from hub.reconcile.results import Difference, Result, TooDifferent, forget_keys, latest, load_run, tidy
from hub.reconcile.run import Options, reconcile

__all__ = [
    "Difference",
    "FixReport",
    "NothingToCompare",
    "Options",
    "Plan",
    "Result",
    "TooDifferent",
    "apply_fix",
    "forget_keys",
    "latest",
    "load_run",
    "plan_fix",
    "reconcile",
    "tidy",
]
