# The verbs of the project. `make help` lists them.
.DEFAULT_GOAL := help
PY := .venv/bin/python

help: ## list these verbs
	@grep -E '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
