# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What pyright says of users' scripts: the Python blocks of the documentation."""

import json
import subprocess
import sys

from tests.docs import pages

FAULTS = '''
import tensorflow as tf
import vaeseq

bound = vaeseq.IWAE("16")
vaeseq.TrainOps(bound)


def nats(model: vaeseq.Model) -> float:
    length: str = model.hparams.latent_size
    return model.evaluate([]).nats_per_stride


hparams = vaeseq.HParams(vae_type="DMM", dmm_inference="ST-L")
units: str = hparams.latent_size
'''


def _errors(folder):
    """What is wrong in the scripts of a folder: (line, file, message)."""
    (folder / "pyrightconfig.json").write_text(json.dumps(
        {"typeCheckingMode": "standard", "extraPaths": [str(pages.ROOT)]}), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson", "."],
        cwd=folder, capture_output=True, text=True, check=False)
    report = json.loads(result.stdout)
    assert report["summary"]["filesAnalyzed"], result.stdout
    return [(item["range"]["start"]["line"] + 1, item["file"], item["message"])
            for item in report["generalDiagnostics"] if item["severity"] == "error"]


def test_a_users_script_has_types_and_no_errors(tmp_path):
    scripts = 0
    for page in pages.PAGES:
        blocks = [block.text for block in pages.blocks(page) if block.language == "python"]
        if blocks and "notebooks" not in page.parts:
            scripts += 1
            (tmp_path / f"{'_'.join(page.relative_to(pages.ROOT).with_suffix('').parts)}.py"
             ).write_text("\n\n".join(blocks), encoding="utf-8")
    assert scripts > 8
    assert not _errors(tmp_path)


def test_faults_are_found_before_a_script_runs(tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTS, encoding="utf-8")
    lines = {line for line, *_ in _errors(tmp_path)}
    assert lines == {5, 6, 10, 11, 15}
