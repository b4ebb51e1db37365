"""Figures that papers published, for the tables that hold ours beside them.

COST 2100 indoor, 32 x 32 angular-delay, NMSE in dB by codeword size in reals. CsiNet: Wen, Shih, Jin, IEEE Wireless
Commun. Lett. 7(5), 2018, Table I. CRNet: Lu, Wang, Song, ICC 2020, Table I.
"""

COST2100_INDOOR_DB: dict[str, dict[int, float]] = {
    "csinet": {512: -17.36, 256: -12.70, 128: -8.65, 64: -6.24, 32: -5.84},
    "crnet": {512: -26.99, 256: -16.01, 128: -11.35, 64: -8.93, 32: -6.49},
}
