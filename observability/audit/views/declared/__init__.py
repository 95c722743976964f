"""The columns of the views, by what they tell of."""
