"""The recipe of the sample model: openly licensed drawings and their words, as pairs."""
