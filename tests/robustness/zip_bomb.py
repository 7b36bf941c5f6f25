# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Writes an archive of piano rolls that unpacks to a thousand times its size."""

import zipfile

import numpy as np

_NOTES, _FRAMES = 88, 1 << 22  # 352 MiB, over the limit of `archives`


def write_zip_bomb(path):
    """Writes silent music whose array "train" is larger than a reader may unpack."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (_FRAMES, _NOTES)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("train.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, header)
            for _ in range(_NOTES):
                member.write(bytes(_FRAMES))
        with archive.open("train_lengths.npy", "w") as member:
            np.lib.format.write_array(member, np.array([_FRAMES], np.int32))
