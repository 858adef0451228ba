"""Tests against real container engines, which the test session starts, fills, wipes and ends by itself."""
