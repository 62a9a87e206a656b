"""Where everything is kept. Only this package runs SQL."""
