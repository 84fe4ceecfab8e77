"""Hosted services: one thin client each, for the families that use it. Libraries are imported inside the functions."""
