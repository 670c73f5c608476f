"""From tokens to weights: the plan, the trainer, and `train_table`, which runs them."""
