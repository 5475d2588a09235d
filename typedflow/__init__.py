"""Strongly typed workflows with cached, versioned tasks."""
