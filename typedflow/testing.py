"""A pytest plugin for authors of workflows."""
