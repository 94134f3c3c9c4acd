"""A trained model's answers: forward passes, evaluation, inputs of any kind, predictions and their writers."""
