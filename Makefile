# `make` lists what there is. Every target sets up what it needs; nothing else has to be run first.
#
#   PYTHON=...        the Python to make .venv with (default: the newest of 3.11 to 3.13)
#   TSUNAGI_HOME=...  where the state lies (default: ./var)
#   ARGS=...          handed to the program a target runs, such as make test ARGS="tests/hub -k quarantine"

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
WORKERS ?= 2
COMPILE := -q --universal --python-version 3.11 --no-annotate --no-header --strip-extras
PACKAGES := canonical_model mappings connectors hub dags plugins sandbox

.PHONY: help setup demo test lint format type borders bench chaos kill docs schemas lock stop clean distclean

help:  ## list the targets / 一覧
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## */\1\t/' | expand -t 12

setup:  ## make .venv with everything in it (seconds; nothing when nothing changed) / 環境の準備
	@bin/setup

demo: setup  ## run the demo day; again: go on from where it stands / デモの実行
	@$(BIN)/tsunagi demo $(ARGS)

test: setup  ## run all tests / テスト
	@bin/test-setup
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -q $(ARGS)

lint: setup  ## ruff, and the borders between the rooms / 静的検査
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

format: setup  ## let ruff format and mend what it can / 整形
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

type: setup  ## mypy --strict / 型検査
	@$(BIN)/mypy

bench: setup  ## measure, under 15 minutes: ONLY=W1,W3 some, PEERS=1 beside other tools / 性能測定
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(PEERS),--peers) $(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

chaos: setup  ## everything at once and the balance after it: SECONDS=60 SEED=... / カオステスト
	@$(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(if $(BUG),--bug $(BUG)) \
		$(if $(AIRFLOW),--airflow) $(ARGS)

kill: setup  ## the tests that kill processes, many times over / 強制終了テスト
	@TSUNAGI_TEST_CHAOS_ROUNDS=$${TSUNAGI_TEST_CHAOS_ROUNDS:-200} $(BIN)/python -m pytest -n $(WORKERS) -q -m chaos $(ARGS)

docs: setup  ## write the generated pages and schemas anew / ドキュメント生成
	@$(BIN)/python bin/write_generated.py --docs

schemas: setup  ## write all JSON Schemas anew / JSON Schemaの生成
	@$(BIN)/python bin/write_generated.py

lock: setup  ## resolve requirements.lock anew from pyproject.toml / 依存関係の固定
	@bin/uv pip compile $(COMPILE) \
		pyproject.toml --extra airflow --extra embedded --group test --group bench --group lint $(ARGS) -o requirements.lock
	@for peer in dlt singer airbyte; do \
		bin/uv pip compile $(COMPILE) bench/w1/peers/$$peer.in $(ARGS) -o bench/w1/peers/$$peer.lock; done
	@! grep -n '://' requirements.lock bench/w1/peers/*.lock || { echo "a lock must hold no addresses" >&2; exit 1; }

stop:  ## stop everything that runs from TSUNAGI_HOME / 停止
	@if [ -x $(BIN)/tsunagi ]; then $(BIN)/tsunagi stop; fi

clean: stop  ## stop, and delete TSUNAGI_HOME with all data, and caches / データとキャッシュの削除
	@if [ -x $(BIN)/python ]; then $(BIN)/python bin/remove_home.py; fi
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean  ## clean, and delete .venv / 環境ごと削除
	@rm -rf .venv
