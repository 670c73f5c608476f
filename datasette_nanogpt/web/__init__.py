"""The pages in Datasette, and the worker that trains behind them."""
