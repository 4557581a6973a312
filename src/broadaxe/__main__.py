"""`python -m broadaxe` is the command `broadaxe`, for those whose PATH does not have it."""

from broadaxe.cli.main import main

main()
