# docker build -t antidisrupt . && docker run --rm -p 8888:8888 -v "$PWD/outputs:/antidisrupt/outputs" antidisrupt
# On a GPU: --build-arg TORCH_INDEX=https://pypi.org/simple, and `docker run --gpus all`. Another command than JupyterLab:
# docker run --rm antidisrupt python run_all.py --list
FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# git: each result's manifest names the commit that made it
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 person
WORKDIR /antidisrupt
COPY --chown=person . .
RUN pip install --no-cache-dir torch torchvision -c constraints.txt --index-url "$TORCH_INDEX" \
    && pip install --no-cache-dir -e ".[video]" -c constraints.txt \
    && chown person /antidisrupt
USER 1000
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "--notebook-dir=/antidisrupt/notebooks"]
