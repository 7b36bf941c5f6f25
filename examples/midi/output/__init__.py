# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Samples as MusicXML, sound, pictures and a page; statistics of piano rolls."""
