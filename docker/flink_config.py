"""Completes Flink's configuration with what only the environment knows, then becomes the command: the image's start.

`flink.yaml` is the configuration without S3. Its address and keys are settings of the product; Flink reads them from
its configuration file only. So the file is made at each start and is private.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

import yaml

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.settings import Environment, environment, s3_settings

_HERE: Final = Path(__file__).parent


def flink_config(env: Environment) -> dict[str, object]:
    """The whole configuration. Raises SettingsError if a setting of S3 is missing."""
    config: dict[str, object] = yaml.safe_load((_HERE / "flink.yaml").read_text(encoding="utf-8"))
    s3 = s3_settings(env)
    return config | {
        "s3.endpoint": s3.endpoint,
        "s3.access-key": s3.access_key,
        "s3.secret-key": s3.secret_key,
        "execution.checkpointing.dir": f"s3://{s3.bucket}/checkpoints",
        "execution.checkpointing.savepoint-dir": f"s3://{s3.bucket}/savepoints",
    }


def write_config(folder: Path, config: dict[str, object]) -> None:
    """Write Flink's configuration, mode 0600, and its logging."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "config.yaml", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump(config, file)
    for name in ("log4j-console.properties", "log4j-cli.properties"):
        shutil.copyfile(_HERE / name, folder / name)


def main() -> None:
    try:
        write_config(Path(os.environ["FLINK_CONF_DIR"]), flink_config(environment()))
    except InstrumentCacheError as error:
        sys.exit(f"flink: {error}")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
