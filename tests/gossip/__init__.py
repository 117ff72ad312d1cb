"""Tests of the gossiper and of the discovery by addresses."""
