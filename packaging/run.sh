#!/bin/bash
# Runs one server on DATA; on the first start makes the administrator `admin` and says how to sign in.
# usage: run.sh BINARY DATA ADDRESS:PORT
set -euo pipefail
binary=$1 data=$2 http=$3

if [ ! -e "$data/holdfast.db" ]; then
  password=$("$binary" user add admin --admin --generate-password --data "$data" --json | sed -n 's/.*"password":"\([^"]*\)".*/\1/p')
  echo
  echo "  This is the first start: the administrator was made. The password is shown only now."
  echo
  echo "      address   http://$http"
  echo "      name      admin"
  echo "      password  $password"
  echo
  echo "  Another one: $binary user password admin --generate-password --data $data"
  echo
fi
exec "$binary" serve --data "$data" --http "$http"
