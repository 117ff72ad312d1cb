"""The two fields of the Pasta curves."""

from __future__ import annotations

from typing import Final

FP_MODULUS: Final = 0x40000000000000000000000000000000224698FC094CF91B992D30ED00000001
"""Of Fp: every hash that travels as a field element is below it."""
FQ_MODULUS: Final = 0x40000000000000000000000000000000224698FC0994A8DD8C46EB2100000001
