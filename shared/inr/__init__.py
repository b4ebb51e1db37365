"""Signals as the weights of coordinate networks, made small: INRIC and CoINR.

    signal --overfit--> weights --grids--> indices --AdaRound, retraining--> indices --range coder--> bits
            siren.py     weight_quantizer.py  adaround.py, retrain.py          bitstream.py
            overfit.py   sparse_dictionary.py: weights -> a few atoms each, in place of the grids (CoINR)
            meta_siren.py: the weights that every signal starts from, and that the decoder knows

A batch of signals goes through together, and none of them depends on the others.
"""
