"""Texts of several lengths, for encoders: one twice, one empty, one with an unknown word."""

TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10 w11", "", "w1 w2 unknown", "w4"]
