# make quickstart   environment, install, a real sweep without a download, its table and a figure: about five minutes,
#                   most of them for PyTorch
# make results      figures and report of the reference runs, and every generated number in the documents
# make test         environment, install, all tests but the slow ones; make test MARK= runs those too

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/installed
RUNS := $(or $(RESNET_RUNS),runs)

MARK ?= not slow

# The studies in the published report. The others: warmup, rate, degradation_fp32 and reach90 (docs/study.md), precision (docs/speed.md).
REPORTED := $(addprefix runs/reference/,depth depth_or_width depth_short depth_rate degradation zero_init seed_table he2015 \
	initialization)

.PHONY: quickstart test lint results

quickstart: $(INSTALLED)
	$(VENV)/bin/python -m resnet.run experiment=quickstart
	@echo
	$(VENV)/bin/python -m analysis.table "$(RUNS)/quickstart"
	@echo
	$(VENV)/bin/python -m analysis.plots "$(RUNS)/quickstart"
	@echo
	@echo "next, on CIFAR-10:"
	@echo "  source $(VENV)/bin/activate"
	@echo "  python -m resnet.run model=blocks9 model.width=16 epochs.count=5 schedule=cosine"

results: $(INSTALLED)
	$(VENV)/bin/python -m analysis.plots runs/reference --out figures --format svg
	$(VENV)/bin/python -m analysis.plots runs/reference/depth_short runs/reference/depth --measure test_acc \
		--out figures/test --format svg
	cp figures/test/reference/depth_short/accuracy.svg runs/reference/depth_short.svg
	cp figures/test/reference/depth/accuracy.svg runs/reference/depth.svg
	$(VENV)/bin/python -m analysis.plots $$(dirname $$(grep -l "width: 16" runs/reference/depth_rate/*/*/config.yaml)) \
		--x optimizer.lr --by layers --panels shortcut --measure val_acc --out figures/rates --format svg
	cp figures/rates/reference/depth_rate/accuracy.svg runs/reference/rates.svg
	cp figures/rates/reference/depth_rate/degradation.svg runs/reference/training_error.svg
	rm -rf figures/depth_and_width && mkdir figures/depth_and_width
	cd figures/depth_and_width && ln -s ../../runs/reference/depth/*-pad-* ../../runs/reference/depth_or_width/*-pad-* .
	cd figures && PYTHONPATH="$(CURDIR)" "$(abspath $(VENV))"/bin/python -m analysis.plots depth_and_width \
		--x multiply_adds --by model.width --measure test_acc --out size --format svg
	cp figures/size/depth_and_width/accuracy.svg runs/reference/size.svg
	cp figures/reference/initialization/untrained_gradients.svg runs/reference/gradients.svg
	cp figures/reference/depth/lesions.svg figures/reference/depth/gradient_ratio.svg runs/reference/
	$(VENV)/bin/python -m analysis.report $(REPORTED) --out runs/reference/report.html
	$(VENV)/bin/python docs/generate.py

test: lint
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m "$(MARK)" --dist worksteal \
		-n $$($(VENV)/bin/python -c "import joblib; print(joblib.cpu_count())")

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

$(INSTALLED): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "needs Python 3.10 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --editable ".[test]"
	@touch $@
