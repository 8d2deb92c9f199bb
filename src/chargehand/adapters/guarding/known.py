"""Programs whose command line runs nothing that a handler would not see: asked about only for what they are given.

With the handlers' own tables this is what is *known*. What is not is a question where no sandbox holds the agent
(SPEC 7.2), so that nobody needs to list every program that starts another one.
"""

from __future__ import annotations

import re

from chargehand.adapters.guarding.options import names

__all__ = ["is_known", "is_standard_folder", "is_text_tool", "takes_files"]

_TEXT = names(
    "cat tac head tail cut paste join tr sort uniq wc nl fmt fold expand unexpand column comm diff diff3 cmp "
    "sdiff colordiff grep egrep fgrep zgrep rg ag ack jq yq xq gron dasel csvcut csvgrep csvlook csvstat xmllint "
    "xmlstarlet tidy iconv dos2unix unix2dos rev shuf seq split csplit tsort strings hexdump hd od xxd base64 "
    "base32 basenc gbase64 md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum sum crc32 shasum "
    "md5 look spell aspell hunspell wdiff delta diffstat less more most bat batcat pr printf echo yes numfmt "
    "ansifilter glow pygmentize highlight tree-sitter difft difftastic envsubst gettext msgfmt xgettext msgmerge "
    "zcat bzcat xzcat zless zdiff zcmp gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd lz4 7z 7za unrar cpio ar ts"
)
_FILES = names(
    "ls dir vdir exa eza lsd tree stat file du df ncdu dust readlink realpath basename dirname pwd locate which "
    "whereis whatis apropos man info help tldr mktemp cd pushd popd test sync namei getfacl lsattr pathchk "
    "inotifywait identify"
)
_MACHINE = names(
    "date cal ncal uptime hostname uname arch nproc free vmstat iostat lscpu lsblk lsusb lspci lsof lsmod id "
    "whoami who w groups users logname tty stty tput clear reset sleep usleep getconf locale getent ps top htop "
    "pgrep pstree pidof jobs ipcs history ss netstat ip ifconfig ulimit umask sw_vers system_profiler dmesg bc "
    "factor expr true false tsc time times uuidgen ssh-keygen pwgen figlet cowsay lolcat ldd nm objdump readelf "
    "size strip objcopy addr2line c++filt ranlib pldd"
)
_BUILDS = names(
    "gcc g++ cc c++ c99 clang clang++ cpp ld lld gold mold as nasm yasm tcc rustc gfortran flang gnat gprbuild "
    "dmd ldc2 gdc ghc cabal stack ghcup ocamlc ocamlopt ocamlfind dune opam fpc vala valac nim nimble zig crystal "
    "shards swift swiftc xcodebuild kotlinc kotlin scalac javac jar java javadoc javap jlink jdeps erlc rebar3 "
    "mix elixirc iex gleam elm elm-test elm-format purs spago sass sassc lessc stylus postcss tailwindcss ninja "
    "meson samu bazel bazelisk buck buck2 pants please scons waf premake xmake autoconf automake aclocal "
    "autoreconf autoheader libtoolize pkg-config pkgconf configure cmake ctest cpack ccmake make gmake bmake "
    "remake rake invoke doit task mage grunt gulp webpack webpack-cli webpack-dev-server rollup esbuild swc vite "
    "parcel rspack turbo nx lerna tsc tsup tsup-node babel ts-node tsx next nuxt astro remix gatsby ng vue "
    "svelte-kit react-scripts storybook expo metro electron-builder ant mvn mvnw gradle gradlew sbt mill lein clj "
    "boot dotnet msbuild nuget csc fsc paket rustup cargo protoc buf flatc thrift capnp swig cython cythonize "
    "f2py bison flex yacc lex antlr4 re2c gperf pyinstaller nuitka maturin cibuildwheel auditwheel python-config "
    "hugo jekyll mkdocs sphinx-build sphinx-apidoc sphinx-autobuild doxygen pandoc latex pdflatex xelatex "
    "lualatex latexmk bibtex biber makeindex dvips typst asciidoctor rst2html marp vitepress docusaurus mdbook "
    "rustdoc godoc typedoc jsdoc dot neato plantuml mmdc drawio convert magick optipng pngcrush svgo rsvg-convert "
    "inkscape ffmpeg ffprobe sox"
)
_TESTS = names(
    "pytest py.test tox nox unittest nose2 green behave coverage hypothesis mutmut cosmic-ray jest vitest mocha "
    "ava tap jasmine karma cypress playwright nightwatch testcafe rspec minitest cucumber phpunit pest codecept "
    "phpspec behat bats shunit2 busted ctest gtest ginkgo nextest cargo-nextest prove locust k6 lighthouse newman "
    "schemathesis dredd gotestsum"
)
_CHECKS = names(
    "ruff black isort flake8 pylint pyflakes pycodestyle pydocstyle mypy pyright basedpyright pytype pyre bandit "
    "vulture radon xenon yapf autopep8 autoflake pyupgrade docformatter interrogate codespell lint-imports "
    "pip-audit safety pip-compile pip-sync pre-commit eslint prettier biome oxlint tslint standard xo stylelint "
    "htmlhint markdownlint markdownlint-cli2 remark vale alex cspell knip depcheck madge dprint rustfmt "
    "clippy-driver gofmt goimports golangci-lint staticcheck golint govulncheck gosec errcheck revive rubocop "
    "standardrb reek brakeman sorbet srb erb_lint haml-lint steep phpcs phpcbf phpstan psalm php-cs-fixer rector "
    "phpmd shellcheck shfmt bashate checkbashisms hadolint actionlint yamllint yamlfmt taplo jsonlint ajv tflint "
    "checkov tfsec semgrep trivy gitleaks detect-secrets trufflehog clang-format clang-tidy clangd cppcheck "
    "cpplint iwyu ktlint detekt checkstyle pmd spotbugs google-java-format scalafmt scalafix swiftlint "
    "swiftformat hlint ormolu fourmolu stylish-haskell ocamlformat credo dialyzer stylua luacheck selene sqlfluff "
    "pgformatter pg_format nixfmt nixpkgs-fmt alejandra statix buildifier djlint curlylint commitlint "
    "conventional-changelog gitlint deptry tokei cloc scc sloccount lizard hclfmt terraform-docs gofumpt golines gci "
    "nilaway ineffassign unparam publint attw size-limit sort-package-json syncpack"
)
_TOOLS = names(
    "pm2 mlr miller mongosh python python3 node ruby perl php lua luajit bash sh zsh fish uvicorn gunicorn "
    "hypercorn daphne waitress-serve flask django-admin celery alembic dvc dbt mlflow jupyter nbconvert jupytext "
    "streamlit rails puma unicorn rackup sidekiq hanami artisan symfony wp prisma typeorm knex sequelize "
    "drizzle-kit flyway liquibase goose migrate sqlx diesel sea-orm-cli serve http-server json-server live-server "
    "wait-on git-lfs gitk tig lazygit pre-commit plop hygen bumpversion bump2version bump-my-version tbump "
    "commitizen cz towncrier changie standard-version versioneer virtualenv venv pyenv rbenv nodenv nvm fnm volta "
    "corepack asdf mise rtx direnv sdk jenv goenv code subl atom idea openapi-generator swagger-codegen "
    "graphql-codegen quicktype rdfind gpg-agent wasm-pack wasm-bindgen wasm-opt wat2wasm wasm2wat wasmtime wasmer "
    "emcc em++ sqlfmt gprof gcov lcov genhtml gcovr llvm-cov llvm-profdata xcrun xcodegen flutter dart kustomize "
    "kubeconform kubeval wire sqlc dlv air mockgen mockery stringer enumer templ ent oapi-codegen ogen swag gqlgen "
    "counterfeiter moq goversioninfo protoc-gen-go tsc-alias tsx unbuild tsdown rimraf del-cli cpy-cli mkdirp shx "
    "changeset npm-check-updates ncu goreleaser semantic-release release-it np gh-pages surge"
)
_KNOWN = _TEXT | _FILES | _MACHINE | _BUILDS | _TESTS | _CHECKS | _TOOLS
_VERSION = re.compile(r"-?\d[\d.]*$")
_TARGET = re.compile(
    r"^(?:x86_64|i[3-6]86|aarch64|arm|armv7|riscv64|powerpc64le|s390x|wasm32)-[\w-]+-(?=gcc|g\+\+|ld|ar|as|nm|strip|obj)"
)
_STANDARD = (
    "/bin/",
    "/sbin/",
    "/usr/",
    "/lib",
    "/opt/",
    "/etc/",
    "/nix/store/",
    "/snap/bin/",
    "/proc/self/fd/",
    "/dev/",
)


def is_known(name: str) -> bool:
    """Whether a program without a handler is known to run nothing of its own accord."""
    if name in _KNOWN:
        return True
    bare = _VERSION.sub("", _TARGET.sub("", name.removesuffix(".exe"))) or name
    return bare in _KNOWN or name.startswith(("llvm-", "clang-"))


def takes_files(name: str) -> bool:
    """Whether the words of a program are files or patterns rather than verbs."""
    return name in _TEXT | _FILES | _MACHINE | _TESTS | _CHECKS


def is_text_tool(name: str) -> bool:
    """Whether a program only deals with texts, files or the machine: it builds and tests nothing."""
    return name in _TEXT | _FILES | _MACHINE


def is_standard_folder(path: str) -> bool:
    """Whether an absolute path is one of those that only the machine's administrator fills."""
    return path.startswith(_STANDARD)
