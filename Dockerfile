# A container that serves an export, on the CPU: docs/deploy.md. For a GPU: REQUIREMENTS=requirements-serving-gpu.txt
FROM python:3.12-slim AS build
COPY . /sharnn
RUN pip wheel --no-deps --wheel-dir /wheel /sharnn

FROM python:3.12-slim
ARG REQUIREMENTS=requirements-serving.txt
COPY requirements-serving.txt requirements-serving-gpu.txt /
RUN --mount=from=build,source=/wheel,target=/wheel pip install --no-cache-dir --no-deps -r /$REQUIREMENTS /wheel/*.whl
USER nobody
ENTRYPOINT ["sharnn"]
