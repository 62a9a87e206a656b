"""Reelhook: a self-hosted event service for AI-video tasks."""

__version__ = "0.1.0"
