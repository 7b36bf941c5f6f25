# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Music as data: MIDI files, archives, piano rolls, and the record of what a run is trained on."""
