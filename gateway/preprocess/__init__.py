"""Pure functions from what a shopper sends to what a tower takes."""
