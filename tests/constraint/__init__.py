"""Tests of the constraint language, and the texts they share."""
