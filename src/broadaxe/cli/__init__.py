"""The command line: `broadaxe dev | serve | demo | token | migrate | doctor`."""
