"""Tests on real container engines, which the test session starts, fills, empties and stops itself."""
