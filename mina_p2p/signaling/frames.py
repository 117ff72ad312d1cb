"""Sizes of the frames of the two signaling channels."""

from __future__ import annotations

from typing import Final

FRAME_BYTES_MAX: Final = 16_384
"""Longest payload on channels 1 and 2 (spec: pull-protocol 3.3)."""

FRAME_HEADER_BYTES: Final = 4
WORD_BYTES: Final = 1
"""A message that is only its tag: ``GetNext``, ``Discover``."""
