# One image for every part; the compose file says which verb a container runs.
FROM python:3.11.13-slim-bookworm

WORKDIR /app
RUN useradd --create-home dualwrite
COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY dualwrite ./dualwrite
COPY consumers ./consumers
COPY verifier ./verifier
COPY examples ./examples
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

USER dualwrite
ENTRYPOINT ["dualwrite"]
