# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The commands of vaeseq-midi, a module each or shared; importing one imports TensorFlow."""
