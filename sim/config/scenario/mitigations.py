"""Section `mitigations` of a scenario: what is switched on in the host kernel."""

from __future__ import annotations

from pydantic import Field

from sim.config.tables.quantity import Strict


class Mitigations(Strict):
    """What is switched on in the host kernel."""

    smap: bool = Field(True, description="SMAP: stac and clac around every user access (needs a CPU that has it)")
    spectre_v1: bool = Field(True, description="barrier_nospec(): lfence in the getters that use it")
    hardened_usercopy: bool = Field(False, description="HARDENED_USERCOPY: object size checks")
    retpoline: bool = Field(True, description="retpolines on indirect calls")
