"""The roles that labctl brings: their settings' schemas are JSON Schemas, and each default is what its own schema wants."""

import pytest
from jsonschema import Draft202012Validator

from labctl.lab.load_role import load_role, role_names
from labctl.lab.settings import schema_of


@pytest.mark.parametrize("name", role_names(None))
def test_settings_of_a_shipped_role_are_schemas_whose_defaults_fit(name: str) -> None:
    file = load_role(name, None).file
    for properties in (file.settings, file.port_settings):
        Draft202012Validator.check_schema(schema_of(properties))
        for key, schema in properties.items():
            if isinstance(schema, dict) and "default" in schema:
                assert Draft202012Validator(schema).is_valid(schema["default"]), key
