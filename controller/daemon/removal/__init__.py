"""Removal: checks, requests, answers and measurement."""
