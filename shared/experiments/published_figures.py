"""Figures that papers published, for the tables that hold ours beside them.

COST 2100 indoor, 32 x 32 angular-delay, NMSE in dB by codeword size in reals. CsiNet: Wen, Shih, Jin, IEEE Wireless
Commun. Lett. 7(5), 2018, Table I, which has the lasso's figures too. CRNet: Lu, Wang, Song, ICC 2020, Table I.
"""

COST2100_INDOOR_DB: dict[str, dict[int, float]] = {
    "csinet": {512: -17.36, 256: -12.70, 128: -8.65, 64: -6.24, 32: -5.84},
    "crnet": {512: -26.99, 256: -16.01, 128: -11.35, 64: -8.93, 32: -6.49},
}

LASSO_COST2100_INDOOR_DB: dict[int, float] = {512: -7.59, 128: -2.72}

# CSI-INR, DeepMIMO O1 at 3.5 GHz: H. Wu et al., "MIMO Channel as a Neural Function", tables III, IV and V.
CSI_INR_INNER_STEPS_DB: dict[int, dict[int, float]] = {  # IV: n -> s_in -> NMSE
    32: {2: -24.41, 3: -36.94, 5: -37.13, 8: -37.18},
    64: {2: -34.18, 3: -37.68, 5: -37.91, 8: -37.94},
    128: {2: -38.11, 3: -39.21, 5: -39.31, 8: -39.33},
}
CSI_INR_CODING_GAIN: dict[int, dict[int, float]] = {  # III: n -> bits of an entry -> share of the bits that is saved
    n: dict(zip(range(3, 9), gains, strict=True))
    for n, gains in {
        4: (0.2082, 0.1394, 0.1038, 0.0831, 0.0696, 0.0601),
        8: (0.2097, 0.1421, 0.1059, 0.0847, 0.0711, 0.0614),
        16: (0.2386, 0.1669, 0.1263, 0.1019, 0.0859, 0.0744),
        32: (0.2459, 0.1733, 0.1311, 0.1058, 0.0891, 0.0773),
    }.items()
}
CSI_INR_SIZES_DB: dict[tuple[int, int], float] = {  # V, n = 8: (d, L_t) -> NMSE
    (64, 8): -6.17,
    (64, 10): -7.02,
    (64, 12): -8.44,
    (128, 8): -9.68,
    (128, 10): -10.23,
    (128, 12): -12.74,
    (256, 8): -12.13,
    (256, 10): -15.96,
    (256, 12): -17.26,
}
