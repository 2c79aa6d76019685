"""All else is in pyproject.toml. The libraries of the page are fetched before its files are collected."""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildWithVendor(build_py):
    def run(self) -> None:
        runpy.run_path(str(HERE / "vendor.py"))["fetch"](HERE / "app/static/vendor.json")
        super().run()


setup(cmdclass={"build_py": BuildWithVendor})
