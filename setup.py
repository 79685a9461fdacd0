"""Metadata of the package; the build backend and the tools' settings are in pyproject.toml."""

import ast
import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
#: Address of the repository, of which the project's URLs are made.
HOME = "https://github.com/s3po/s3po"


def version() -> str:
    """`__version__` of s3po/__init__.py, read without running it."""
    for line in (HERE / "s3po" / "__init__.py").read_text("utf-8").splitlines():
        if line.startswith("__version__ = "):
            return str(ast.literal_eval(line.partition(" = ")[2]))
    raise RuntimeError("s3po/__init__.py names no __version__")


def long_description() -> str:
    """README.md without its pictures, and with absolute links: an index of packages has no files to link to."""
    text = (HERE / "README.md").read_text("utf-8")
    text = re.sub(r"^!\[[^]]*\]\([^)]*\)\n\n?", "", text, flags=re.MULTILINE)
    return re.sub(r"\]\((?!https?://|#)([^)]+)\)", rf"]({HOME}/blob/main/\1)", text)


setup(
    name="s3po",
    version=version(),
    description="An S3 client that knows just a few tricks, and does them well",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    url=HOME,
    project_urls={
        "Documentation": f"{HOME}/tree/main/docs",
        "Source": HOME,
        "Issues": f"{HOME}/issues",
        "Changelog": f"{HOME}/blob/main/CHANGELOG.md",
    },
    author="the s3po maintainers",
    maintainer="the s3po maintainers",
    license="MIT",
    license_files=["LICENSE"],
    packages=find_packages(include=["s3po", "s3po.*"]),
    package_data={"s3po": ["py.typed"]},
    zip_safe=False,
    python_requires=">=3.11",
    # The lower ends are what `make test-oldest` runs with.
    install_requires=[
        "botocore>=1.31.63",
        "gevent>=23.7",
        "requests>=2.32.3",
        "urllib3>=2.0.2",
    ],
    extras_require={
        # CRC32C and CRC64NVME in C; s3po/checksums.py says why this one.
        "crc": ["anycrc>=2.1"],
        "docs": ["mkdocs-material>=9.5", "mkdocstrings[python]>=0.27", "ruff>=0.6"],
        "dask": ["distributed>=2024.1"],
        "django": ["Django>=4.2"],
        "fsspec": ["fsspec>=2024.2"],
        "otel": ["opentelemetry-instrumentation-requests"],
        "progress": ["tqdm>=4.60"],
        "socks": ["PySocks>=1.7"],
        "test": [
            "anycrc>=2.1",
            "coverage>=7.6",
            "cryptography",
            "fsspec>=2024.2",
            "hypothesis>=6.80",
            "moto[server]>=5.0",
            "mypy>=1.11",
            "opentelemetry-instrumentation-requests",
            "opentelemetry-sdk",
            "PySocks>=1.7",
            "pytest>=8.0",
            "pytest-cov>=5.0",
            "pytest-xdist>=3.6",
            "requests-mock>=1.12",
            "responses>=0.25",
            "ruff>=0.6",
            "types-requests",
        ],
        # What only `make test-integrations` and `make examples` need.
        "test-integrations": [
            "celery",
            "distributed",
            "Django",
            "duckdb",
            "fastapi",
            "flask",
            "httpx",
            "pandas",
            "polars",
            "prometheus-client",
            "pyarrow",
            "python-multipart",
            "s3fs",
            "universal-pathlib",
            "xarray",
            "zarr",
        ],
    },
    entry_points={
        "console_scripts": ["s3po = s3po.cli.main:main"],
        "fsspec.specs": ["s3po = s3po.fs:S3FileSystem"],
        "pytest11": ["s3po = s3po.pytest_plugin"],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Internet :: WWW/HTTP",
        "Topic :: Software Development :: Libraries :: Python Modules",
        "Topic :: Software Development :: Testing :: Mocking",
        "Topic :: System :: Archiving",
        "Typing :: Typed",
    ],
    keywords="s3 aws gevent rest multipart mock",
)
